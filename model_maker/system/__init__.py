"""What the project needs of the machine: files, locks, processes, installed packages."""
