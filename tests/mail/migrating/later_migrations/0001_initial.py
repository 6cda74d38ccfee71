from importlib import import_module

Migration = import_module("flasky.mail.migrations.0001_initial").Migration
