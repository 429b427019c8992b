"""Commands about providers, the services that fine-tune and answer."""

import sys
from typing import Annotated

import typer
from pydantic import SecretStr

from app.actor import LOCAL
from app.commands.session import finish_job, opened, say, say_json
from app.errors import InvalidInput, Unavailable
from app.models.model_tests import ModelTest
from app.providers.addresses import Reach
from app.services import datasets
from app.services.proving import model_tests
from app.services.tuning import providers
from app.services.tuning.providers import ServiceDetails


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    provider = typer.Typer(help="Services that fine-tune and answer.", no_args_is_help=True)
    provider.command("add", epilog="Example: setright provider add nebius https://host/v1 --key-stdin")(add)
    provider.command("list", epilog="Example: setright provider list")(list_providers)
    provider.command("models", epilog="Example: setright provider models openai")(models)
    provider.command("remove", epilog="Example: setright provider remove nebius")(remove)
    cli.add_typer(provider, name="provider")
    cli.command("test-model", epilog="Example: setright test-model tweets --provider openai --model M")(
        ask_model
    )


def add(
    name: Annotated[str, typer.Argument(help="What to call it.")],
    base_url: Annotated[str, typer.Argument(help="Where its API begins, as https://host/v1.")],
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the key from standard input instead of asking.")
    ] = False,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Keep no key: SETRIGHT_PROVIDER_KEYS says it.")
    ] = False,
    concurrency: Annotated[int, typer.Option(min=1, help="Requests for answers at once.")] = 4,
    per_minute: Annotated[int, typer.Option(min=0, help="Requests for answers a minute; 0: no limit.")] = 0,
    input_price: Annotated[float | None, typer.Option(help="Price of a million tokens in.")] = None,
    output_price: Annotated[float | None, typer.Option(help="Price of a million tokens out.")] = None,
) -> None:
    """Add a service; its key is kept encrypted and never shown."""
    key = "" if no_key else _key(from_stdin=key_stdin)
    details = ServiceDetails(
        name,
        base_url,
        SecretStr(key) if key else None,
        concurrency=concurrency,
        requests_per_minute=per_minute,
        input_price=input_price,
        output_price=output_price,
    )
    with opened() as here, here.database.write() as session:
        added = providers.add(session, here.settings, details, actor=LOCAL)
    say(f"{added.name} is at {added.base_url}; its key: {_where(added.key_from)}.")


def _key(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().strip()
    return str(typer.prompt("Key", hide_input=True)).strip()


def _where(key_from: str) -> str:
    return {"settings": "from the environment", "here": "kept, encrypted"}.get(key_from, "none yet")


def list_providers() -> None:
    """List the services and where their keys are."""
    with opened() as here, here.database.read() as session:
        found = providers.list_services(session, here.settings)
    for service in found:
        say(f"{service.name}: {service.base_url}, key: {_where(service.key_from)}")


def models(name: Annotated[str, typer.Argument(help="Name of the provider.")]) -> None:
    """List the models that a service has now, with the day on which it shuts them down."""
    with opened() as here, here.database.read() as session:
        service = providers.get(session, here.settings, name)
        key = providers.key_of(session, here.settings, name, base_url=service.base_url)
    from app.providers.openai_fine_tuning import OpenAIFineTuner

    reach = Reach(here.settings.reach)
    for model in OpenAIFineTuner(key, base_url=service.base_url, reach=reach).list_models():
        say(f"{model.id}{f', until {model.shutdown_date}' if model.shutdown_date else ''}")


def remove(name: Annotated[str, typer.Argument(help="Name of the provider.")]) -> None:
    """Forget a service and its key."""
    with opened() as here, here.database.write() as session:
        service = providers.get(session, here.settings, name)
        if service.id is None:
            raise InvalidInput("The provider openai is the one of the settings; it cannot be removed.")
        providers.remove(session, service.id, actor=LOCAL)
    say(f"{name} and its key are gone.")


def ask_model(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    provider: Annotated[str, typer.Option(help="Name of the provider.")],
    model: Annotated[str, typer.Option(help="The model, as the provider names it.")],
    prompt: Annotated[str, typer.Option(help="The instruction; one that names the labels if not said.")] = "",
    json_: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Ask a model that nobody tuned for every test row."""
    with opened() as here:
        with here.database.write() as session:
            service = providers.get(session, here.settings, provider)
            if not service.key_from:
                raise Unavailable(providers.no_key(service.name))
            dataset = datasets.get_by_name(session, name)
            asked = model_tests.request(session, dataset.id, service, model=model, prompt=prompt, actor=LOCAL)
        done = finish_job(here, asked)
    if json_:
        tokens = {"input_tokens": done.input_tokens, "output_tokens": done.output_tokens}
        say_json({"model_test": done.id, "model": done.model, **tokens, **done.results})
        return
    say_test(done)


def say_test(test: ModelTest) -> None:
    """Write what a model's test gave."""
    found = test.results
    say(
        f"Test accuracy {found['accuracy']:.3f} [{found['low']:.3f}, {found['high']:.3f}] on "
        f"{found['rows']:,} rows; {found['no_label']:,} answers were no label; "
        f"{test.input_tokens:,} tokens in, {test.output_tokens:,} out."
    )
