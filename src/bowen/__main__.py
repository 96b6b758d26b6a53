"""`python -m bowen` is the command `bowen`."""

from bowen.cli import main

if __name__ == "__main__":
    main()
