"""What a rehearsal on one machine needs: a project folder, a receiver process, and the log read back.

Used by the demo and by the smoke scripts. Nothing here is needed, or wanted, in production.
"""
