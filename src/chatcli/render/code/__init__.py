"""Line-by-line syntax highlighting."""
