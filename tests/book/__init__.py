"""Tests of the chapters, their claims, and the pages and notebooks made of them."""
