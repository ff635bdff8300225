"""template.yaml as the local cloud reads it: transformed by SAM, intrinsic functions resolved.

The transformation happens offline, in this process. What a ``Ref`` or ``Fn::GetAtt`` of a resource means is
asked of whoever creates the resources (:mod:`infra.local.resources`): names and ARNs exist only there.

Reference: AWS CloudFormation User Guide, "Intrinsic function reference".
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from infra.errors import BadConfiguration

#: the only list of resources, at the root of the checkout
TEMPLATE = Path(__file__).parents[2] / "template.yaml"

_NO_VALUE = object()


def load(path: Path, *, region: str) -> dict[str, Any]:
    """The template as plain CloudFormation, SAM's shorthands spelled out.

    Raises :class:`infra.errors.BadConfiguration` when the file is missing or SAM refuses it.
    """
    import boto3
    from samtranslator.model.exceptions import InvalidDocumentException
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator
    from samtranslator.yaml_helper import yaml_parse

    if not path.is_file():
        raise BadConfiguration(f"There is no template at {path}: it lists the resources to create.")
    template = yaml_parse(path.read_text(encoding="utf-8"))
    _upload_nothing(template)
    # It warns of feature toggles that only the hosted service has.
    logging.getLogger("samtranslator").setLevel(logging.ERROR)
    translator = Translator({}, Parser(), boto_session=boto3.Session(region_name=region))
    try:
        return dict(translator.translate(template, parameter_values={}, get_managed_policy_map=dict))
    except InvalidDocumentException as error:
        reasons = "; ".join(cause.message for cause in error.causes)
        raise BadConfiguration(f"{path.name} is not a valid SAM template: {reasons}") from error
    finally:
        translator.metrics.publish()  # to nobody; unpublished, they warn


def _upload_nothing(template: dict[str, Any]) -> None:
    """Point code at an S3 address: the translator only accepts code that has been uploaded."""
    places = [template.get("Globals", {}).get("Function", {})]
    places += [resource.get("Properties", {}) for resource in template.get("Resources", {}).values()]
    for properties in places:
        for name in ("CodeUri", "ContentUri"):
            if name in properties:
                properties[name] = "s3://local/code.zip"


class Resolver:
    """Answers intrinsic functions, with ``reference`` and ``attribute`` to ask about resources."""

    def __init__(
        self,
        template: Mapping[str, Any],
        *,
        pseudo: Mapping[str, str],
        parameters: Mapping[str, str],
        reference: Callable[[str], str],
        attribute: Callable[[str, str], str],
    ) -> None:
        self._template = template
        self._given = {**pseudo, **parameters}
        self._reference = reference
        self._attribute = attribute

    def resolve(self, value: Any) -> Any:
        """``value`` with every intrinsic function answered; ``AWS::NoValue`` removes its entry."""
        if isinstance(value, list):
            return [item for item in map(self.resolve, value) if item is not _NO_VALUE]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (name, argument), *_ = value.items()
            if name == "Ref":
                return self._ref(argument)
            if name.startswith("Fn::"):
                return self._function(name, argument)
        resolved = {name: self.resolve(item) for name, item in value.items()}
        return {name: item for name, item in resolved.items() if item is not _NO_VALUE}

    def holds(self, condition: str) -> bool:
        """Whether the named condition of the template is true."""
        return self._truth(self._template.get("Conditions", {})[condition])

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return _NO_VALUE
        if name in self._given:
            return self._given[name]
        parameters = self._template.get("Parameters", {})
        if name in parameters:
            if "Default" not in parameters[name]:
                raise BadConfiguration(f"The template's parameter {name} has no default to use on one machine.")
            default = parameters[name]["Default"]
            if parameters[name].get("Type") == "CommaDelimitedList":
                return [item.strip() for item in str(default).split(",")]
            return default
        return self._reference(name)

    def _function(self, name: str, argument: Any) -> Any:
        match name:
            case "Fn::GetAtt":
                logical_id, attribute = argument if isinstance(argument, list) else argument.split(".", 1)
                return self._attribute(logical_id, self.resolve(attribute))
            case "Fn::Sub":
                return self._sub(argument)
            case "Fn::Join":
                separator, items = argument
                return separator.join(str(item) for item in self.resolve(items))
            case "Fn::Select":
                index, items = argument
                return self.resolve(items)[int(self.resolve(index))]
            case "Fn::Split":
                separator, text = argument
                return self.resolve(text).split(separator)
            case "Fn::If":
                condition, yes, no = argument
                return self.resolve(yes if self.holds(condition) else no)
            case "Fn::FindInMap":
                names = self.resolve(argument)
                return self._template["Mappings"][names[0]][names[1]][names[2]]
        raise BadConfiguration(f"The template uses {name}, which the local cloud cannot answer.")

    def _sub(self, argument: Any) -> str:
        text, given = (argument, {}) if isinstance(argument, str) else argument

        def answer(found: re.Match[str]) -> str:
            name = found.group(1)
            if name.startswith("!"):  # ${!Literal} stands for ${Literal}
                return "${" + name[1:] + "}"
            if name in given:
                return str(self.resolve(given[name]))
            if "." in name:
                return self._attribute(*name.split(".", 1))
            return str(self._ref(name))

        return re.sub(r"\$\{([^}]+)\}", answer, text)

    def _truth(self, expression: Any) -> bool:
        (name, argument), *_ = expression.items()
        match name:
            case "Condition":
                return self.holds(argument)
            case "Fn::Equals":
                left, right = self.resolve(argument)
                return bool(left == right)
            case "Fn::Not":
                return not self._truth(argument[0])
            case "Fn::And":
                return all(map(self._truth, argument))
            case "Fn::Or":
                return any(map(self._truth, argument))
        raise BadConfiguration(f"The template's conditions use {name}, which the local cloud cannot answer.")
