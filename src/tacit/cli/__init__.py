"""The command line, one file or folder per verb, thin: parse, call, print."""
