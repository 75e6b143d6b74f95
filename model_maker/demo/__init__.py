"""A model in the browser: the page, served from here, written as a static site, or run headless."""
