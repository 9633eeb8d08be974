"""``python -m crowdtruth.cli``."""

from crowdtruth.cli import main

if __name__ == "__main__":
    main()
