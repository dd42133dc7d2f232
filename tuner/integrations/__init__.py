"""Trainings written for other libraries, as trainables; each module needs its library only when it is used."""
