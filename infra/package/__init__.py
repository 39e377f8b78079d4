"""What a release is made of: the Marketplace template, the functions' zips, checksums, bill of materials, and how to launch it."""
