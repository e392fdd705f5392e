"""A node's settings: flags over `P2PMODS_*` over config.toml over `go env` over defaults."""

from p2pmods.config.load import default_data, load_config
from p2pmods.config.model import Config
from p2pmods.config.values import Address, SwarmSetting

__all__ = ["Address", "Config", "SwarmSetting", "default_data", "load_config"]
