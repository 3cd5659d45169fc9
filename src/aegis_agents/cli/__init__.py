"""The command line: `aegis`. Commands in `main`, what they print in `render`."""
