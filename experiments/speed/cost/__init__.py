"""What the WMT14 recipes take, from measured speed."""
