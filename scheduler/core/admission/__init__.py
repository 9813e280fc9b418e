"""Admission: is a new job accepted, how long would it wait, and when should a refused one be sent again?"""
