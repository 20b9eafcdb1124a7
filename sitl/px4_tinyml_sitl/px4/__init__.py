"""PX4 SITL in the loop: its process, the simulator link, missions and replays."""
