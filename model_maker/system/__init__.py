"""Access to the machine: files, locks, processes, installed packages."""
