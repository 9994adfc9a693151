"""The contract's assertions are explained like those of a test module."""

import pytest

pytest.register_assert_rewrite("tests.files.contract")
pytest.register_assert_rewrite("tests.files.resumable")
