"""Shared by command lines: argument parsing, exit codes, tables, text without control characters."""
