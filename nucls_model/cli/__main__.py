"""``python -m nucls_model.cli``, and what ``torchrun -m nucls_model.cli`` starts in each process."""

from nucls_model.cli import main

if __name__ == "__main__":
    main()
