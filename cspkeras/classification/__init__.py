"""What classifiers take and give: pixels in their range, scores, and ImageNet's names for these."""
