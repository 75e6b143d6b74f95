"""The studio: photos in, phone model out, on a page in the browser; nothing leaves this machine."""
