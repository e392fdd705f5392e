"""`python -m p2pmods` is the `p2pmods` command."""

from p2pmods.cli.main import main

if __name__ == "__main__":
    main()
