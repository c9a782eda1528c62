"""The pages of the reference that are made from the program, by the name of their file."""

from . import command_line, errors, nets, recipes, rules

PAGES = {
    "nets": nets.page,
    "recipes": recipes.page,
    "command-line": command_line.page,
    "rules": rules.page,
    "errors": errors.page,
}
