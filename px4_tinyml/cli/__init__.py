"""The command line: one thin file per subcommand."""

BUNDLE_HELP = "folder made by `px4-tinyml train`, or pretrained, or pretrained-50hz (./pretrained is a folder)"
