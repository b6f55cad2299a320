"""Settings by environment: development, staging, production; demo and receiver for runs on one machine."""
