"""A real PX4 SITL binary in the loop: its process, the simulator link, missions and replays."""
