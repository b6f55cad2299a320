"""Notifications: a record and an e-mail for each recipient, and one webhook behind the gate."""
