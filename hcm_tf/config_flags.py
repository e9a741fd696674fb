"""Command-line flags, one for each field of the configuration."""

import dataclasses
from typing import Any, get_type_hints

from absl import flags

from hcm_tf.config import DataConfig, ExperimentConfig, ModelConfig, TrainConfig

flags.disclaim_key_flags()

SECTIONS = {"model": ModelConfig, "data": DataConfig, "train": TrainConfig}


class _NumbersParser(flags.ArgumentParser):
    """Parses numbers separated by commas, such as 0.25,0.25,0.5."""

    syntactic_help = "numbers separated by commas"

    def parse(self, argument: str | tuple[float, ...]) -> tuple[float, ...]:
        if isinstance(argument, tuple):
            return argument
        try:
            return tuple(float(number) for number in argument.split(","))
        except ValueError:
            raise ValueError(f"expected {self.syntactic_help}") from None

    def flag_type(self) -> str:
        return "numbers"


class _NumbersSerializer(flags.ArgumentSerializer):
    def serialize(self, value: tuple[float, ...]) -> str:
        return ",".join(map(str, value))


def define() -> None:
    """Defines every flag; defaults are those of the dataclasses."""
    for section in SECTIONS.values():
        hints = get_type_hints(section)
        for field in dataclasses.fields(section):
            if field.metadata["flag"]:
                _define_one(field, hints[field.name])


def parse(argv: list[str]) -> ExperimentConfig:
    """Parses the command line: the configuration that its flags describe.

    Args:
        argv: the command and its arguments; flag files are read where they stand.

    Raises:
        flags.Error: an unknown flag, a value out of range, or an argument too many.
        ValueError: two values do not fit each other.
    """
    rest = flags.FLAGS(argv)[1:]
    if rest:
        raise flags.Error(
            f"unexpected argument {rest[0]!r}: flags begin with --, in a flag file too"
        )
    return ExperimentConfig(
        **{
            name: section(
                **{
                    field.name: _value(flags.FLAGS[field.name].value)
                    for field in dataclasses.fields(section)
                    if field.metadata["flag"]
                }
            )
            for name, section in SECTIONS.items()
        }
    )


def _value(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _define_one(field: dataclasses.Field, kind: type) -> None:
    name, default = field.name, field.default
    about = field.metadata["help"]
    minimum, maximum = field.metadata["minimum"], field.metadata["maximum"]
    choices = field.metadata["choices"]
    if kind == tuple[str, ...]:
        flags.DEFINE_list(name, list(default), about)
    elif kind is bool:
        flags.DEFINE_boolean(name, default, about)
    elif kind is str and choices:
        flags.DEFINE_enum(name, default, choices, about)
    elif kind is str:
        flags.DEFINE_string(name, default, about)
    elif choices:
        # absl has no flag for a choice of numbers.
        about = f"{about} One of {', '.join(map(str, choices))}."
        flags.DEFINE_integer(name, default, about)
        flags.register_validator(
            name, lambda value: value in choices, f"must be one of {choices}"
        )
    elif kind is int:
        flags.DEFINE_integer(name, default, about, minimum, maximum)
    elif kind is float:
        flags.DEFINE_float(name, default, about, minimum, maximum)
    else:
        flags.DEFINE(
            _NumbersParser(), name, default, about, serializer=_NumbersSerializer()
        )
