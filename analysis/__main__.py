"""``python -m analysis``: the paper's figures and tables, one command each."""

import os
from pathlib import Path
from typing import Annotated

import typer

from analysis.paths import OUT
from crowdtruth.cli.app import clear_errors

app = typer.Typer(
    help="The paper's figures and tables: computed, drawn, and set beside the printed values.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
@clear_errors
def make(  # noqa: PLR0917 - the parameters of a command are its options
    pages: Annotated[
        list[str] | None, typer.Argument(metavar="PAGE…", help="fig3a, fig3 (all its panels), tests, all.")
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="Say what there is, and stop.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few FOVs, realizations and replicates: does it work?")
    ] = False,
    study: Annotated[Path | None, typer.Option(help="Your study; default: the synthetic NuCLS-like one.")] = None,
    reference: Annotated[str | None, typer.Option(help="Truth: a file of boxes, or cohort:NAME.")] = None,
    cohort: Annotated[list[str] | None, typer.Option(help="Cohort to show, or a union P=SP+JP; repeat.")] = None,
    condition: Annotated[
        str | None, typer.Option(help="Of figures that show one; default: E, else the last with suggestions.")
    ] = None,
    evaluations: Annotated[
        list[Path] | None, typer.Option(help="Folder of a detector's evaluations, of any number of folds; repeat.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of figures and tables.")] = OUT,
    format: Annotated[str, typer.Option(help="png, svg or pdf.")] = "png",
    seed: Annotated[int, typer.Option(min=0, help="Of everything random.")] = 0,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="Workers; changes no result.")] = 1,
) -> None:
    """Compute, draw and compare the figures and tables of the paper.

    Examples:

        python -m analysis fig3 fig5d

        python -m analysis all --quick

        python -m analysis all --study NUCLS_FOLDER --out out/nucls

        python -m analysis table1 figS11 --evaluations FOLDER

        python -m analysis label_kinds
    """
    from analysis.catalogue import PAGES, chosen_pages
    from analysis.page import ExperimentPage
    from analysis.running import make_pages
    from analysis.work import QUICK, Asked

    if list_:
        for name, page in PAGES.items():
            cost = f" ({page.cost})" if isinstance(page, ExperimentPage) else ""
            typer.echo(f"{name:13}{page.title}{cost}")
        return
    if not pages:
        raise typer.BadParameter("say which: a name from --list, a figure such as fig3, or all")
    judge = reference.removeprefix("cohort:") if reference and reference.startswith("cohort:") else None
    outside = Path(reference) if reference and judge is None else None
    asked = Asked(
        cohorts=tuple(cohort or ()),
        condition=condition,
        judge=judge,
        outside=outside.name if outside else None,
        seed=seed,
        **(QUICK if quick else {}),
    )
    made = make_pages(
        chosen_pages(pages),
        asked,
        out,
        study=study,
        reference=outside,
        evaluations=evaluations or (),
        quick=quick,
        suffix=f".{format}",
        jobs=jobs,
    )
    typer.echo(made)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # see nucls_model/cli/app.py: torch reads it when it loads
    app(prog_name="python -m analysis")
