"""Parts of deploy/local/cluster. Python, because Debian's meson brings it along: nothing else to install."""
