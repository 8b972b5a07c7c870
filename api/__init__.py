"""The record keeper: accepts jobs, hears trainers, keeps rows."""
