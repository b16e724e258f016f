"""Installed packages that import the application's modules by name."""

import logging
import logging.config
import os

import jinja2
from django.conf import LazySettings
from django.utils.module_loading import import_string, module_has_submodule

import features
from features import check, sub


class Formatter(logging.Formatter):
    def format(self, record):
        return f"{record.levelname} of {record.name}: {record.getMessage()}"


class Handler(logging.Handler):
    def emit(self, record):
        lines.append(self.format(record))


lines = []


def jinja2_package_loader():
    for package in "features", __package__:
        environment = jinja2.Environment(loader=jinja2.PackageLoader(package))
        assert environment.list_templates() == ["hello.txt"]
        assert environment.get_template("hello.txt").render(name="you") == "Hello, you!"


def jinja2_package_loader_of_missing_package():
    error = check.raised(ModuleNotFoundError, jinja2.PackageLoader, "missing")
    assert error.name == "missing"


def django_import_string():
    assert import_string("features.sub.NAME") is sub.NAME
    assert import_string("features.packages.Handler") is Handler


def django_import_string_of_missing_name():
    error = check.raised(ImportError, import_string, "features.sub.MISSING")
    assert 'Module "features.sub" does not define' in str(error)


def django_submodules():
    assert module_has_submodule(features, "sub")
    assert not module_has_submodule(features, "missing")


def django_settings_module():
    os.environ["DJANGO_SETTINGS_MODULE"] = "features.sub"
    assert LazySettings().NAME == "sub"


def logging_configuration():
    log = logging.getLogger(__name__)
    logging.config.dictConfig(
        {
            "version": 1,
            "formatters": {"ours": {"()": "features.packages.Formatter"}},
            "handlers": {"ours": {"class": "features.packages.Handler", "formatter": "ours"}},
            "loggers": {"features": {"level": "INFO", "handlers": ["ours"]}},
        }
    )
    log.info("first")
    logging.getLogger("features").info("second")
    assert not log.disabled
    assert lines == ["INFO of features.packages: first", "INFO of features: second"]


init = check.entry(globals())
