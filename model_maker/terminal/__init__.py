"""What command lines share: arguments, exit codes, tables, text that no terminal obeys."""
