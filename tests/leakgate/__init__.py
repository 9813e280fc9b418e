"""The library that judges and reads any server; nothing of voxpool is under test here."""
