"""Sentences that workers keep and pages show, where those who make them know no language."""

from app.languages import N_

SENTENCES = (
    N_("There are no label issues."),
    N_("No suggestion is sure enough to replace a label unseen."),
    N_(
        "With fewer than %(rows)s labelled rows, wrong labels cannot be told from the model's own mistakes "
        "without a person who looks."
    ),
    N_("On these rows wrong labels cannot be told from the model's own mistakes without a person who looks."),
    N_("The model contradicts too many labels: some %(share)s look random."),
    N_(
        "Some %(share)s of the labels look random, which the model's own mistakes do not explain; each "
        "replacement is right with a probability of at least %(least)s."
    ),
    N_(
        "People decided %(rows)s of the recommended rows, and too often against the suggestion: the others "
        "are no longer recommended."
    ),
    N_(
        "Going by %(reviewed)s reviewed rows, suggestions of any confidence are right for about %(share)s of "
        "the rows left besides: replacing gains at least %(gain)s right labels a row, with %(sure)s "
        "certainty."
    ),
    N_(
        "Going by %(reviewed)s reviewed rows, suggestions with a confidence of at least %(least)s are right "
        "for about %(share)s of the rows left besides: replacing gains at least %(gain)s right labels a row, "
        "with %(sure)s certainty."
    ),
    N_("Similar rows were looked for approximately, as there are so many: a few are missing."),
    N_(
        "With %(rows)s rows, similar rows were not looked for (SETRIGHT_NEIGHBOUR_ROWS is %(most)s): "
        "outliers, and near duplicates and leaks whose texts differ, are left out."
    ),
    N_(
        "With %(rows)s rows, similar rows are only looked for after `pip install 'setright[ann]'`: outliers, "
        "and near duplicates and leaks whose texts differ, are left out."
    ),
    N_(
        "The probabilities were given without embeddings, so similar rows were not looked for: outliers, and "
        "near duplicates and leaks whose texts differ, are left out."
    ),
    N_("Similar rows could not be looked for: the worker's log says why."),
    N_(
        "%(label)s was merged into %(into)s after these scores were computed; the probabilities of the two "
        "were added up. Score again to learn the new label set."
    ),
    N_(
        "Something broke that should not have, %(times)s times in a row. The worker's log says what, under "
        "%(kind)s %(id)s."
    ),
    N_("A shard could not be embedded, %(times)s times in a row. The workers' logs say why, under %(id)s."),
    N_("The export of this fine-tune %(what)s: %(error)s"),
    N_("The provider says: %(error)s (job %(job)s)"),
    N_("Cancelled at the provider."),
    N_("Stopped here, but the job %(job)s may go on at the provider: %(error)s"),
    N_("This provider does not offer to pause jobs; the job goes on."),
    N_("There are no test rows with a label, so there is nothing to judge by."),
    N_("There are no test rows to judge by; import a file with --split test."),
    N_("The variant %(variant)s has no train rows to learn from."),
    N_("A batch is still being applied on the scores before this run. Score again when it is done."),
    N_("The uploaded file of %(name)s is gone; upload it again."),
    N_("Stopped on request."),
    N_("Stopped on request while no worker was there: the provider is told once one is back."),
    N_("by hand"),
    N_("import"),
    N_("scoring"),
    N_("batch"),
    N_("export"),
    N_("experiment"),
    N_("model test"),
    N_("as elsewhere"),
    N_("switched off"),
    N_("active"),
    N_("signs in by single sign-on"),
    N_("viewer, in named datasets only"),
    N_("annotator, in named datasets only"),
    N_("lead, in named datasets only"),
    N_("admin, in named datasets only"),
)
"""In English as they are kept; `retold` finds them."""
NOUNS = {
    "review": N_("row"),
    "batch": N_("batch"),
    "import": N_("import"),
    "export": N_("export"),
    "fine_tune": N_("fine-tune"),
    "dataset": N_("dataset"),
    "scoring": N_("scoring"),
    "lease": N_("lease"),
    "assignment": N_("assignment"),
    "column_change": N_("change of columns"),
    "second_opinion": N_("second-opinion"),
    "learning": N_("learning"),
    "label": N_("label"),
    "version": N_("version"),
    "experiment": N_("experiment"),
    "test_split": N_("test-split"),
    "model_test": N_("model-test"),
    "provider": N_("provider"),
    "training_file": N_("training-file"),
    "training_job": N_("training-job"),
    "trained_model": N_("trained-model"),
    "webhook": N_("webhook"),
    "access": N_("access"),
}
"""What an event is about, before its number; `retold` finds the words of code as well."""
WORDS = (
    N_("train"), N_("test"), N_("all"), N_("keep"), N_("accept"), N_("override"), N_("exclude"),
    N_("needs review"), N_("undo"), N_("relabel"), N_("restore"), N_("yes"), N_("no"), N_("original"),
    N_("corrected"), N_("dropped"), N_("text"), N_("id"), N_("split"), N_("given label"), N_("metadata"),
    N_("filter"), N_("annotator"),
    N_("Review"), N_("Batch"), N_("Import"), N_("Export"), N_("Fine tune"), N_("Dataset"), N_("Scoring"),
    N_("Lease"), N_("Assignment"), N_("Column change"), N_("Second opinion"), N_("Learning"), N_("Label"),
    N_("Version"), N_("Experiment"), N_("Test split"), N_("Model test"), N_("Provider"),
    N_("Training file"), N_("Training job"), N_("Trained model"), N_("Webhook"), N_("Access"),
)  # fmt: skip
"""Words of code that pages show as they are."""
