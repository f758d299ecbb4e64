"""`python -m sparsepath`: the command line."""

from sparsepath.cli.main import main

if __name__ == "__main__":
    main()
