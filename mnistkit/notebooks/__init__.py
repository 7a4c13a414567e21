"""The series itself: executed, recorded, checked, and made into a book and slides."""
