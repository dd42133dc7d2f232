"""What a study needs of the machine it begins on, each thing looked at by itself; see `tuner.doctor`."""
