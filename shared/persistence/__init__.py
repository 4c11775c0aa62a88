"""How services reach PostgreSQL: one engine per process, one transaction per message, migrations run by program."""
