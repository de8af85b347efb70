"""Durable storage of one node: one LMDB directory, one writer thread, group commit."""

from spine_node.store import operations
from spine_node.store.damage_log import DamageLog
from spine_node.store.errors import (
    CursorExpiredError,
    StorageError,
    StorageFullError,
    StoreBusyError,
    StoreClosedError,
    StoreDamagedError,
    StoreFormatError,
    StoreLockedError,
)
from spine_node.store.feed import FeedEntry
from spine_node.store.layout import checksum, key_of, split_key
from spine_node.store.lmdb_store import Store, open_store
from spine_node.store.opening import StoreIdentity
from spine_node.store.store_ports import StorePorts
from spine_node.store.subscription import Subscription

__all__ = [
    "CursorExpiredError",
    "DamageLog",
    "FeedEntry",
    "StorageError",
    "StorageFullError",
    "Store",
    "StoreBusyError",
    "StoreClosedError",
    "StoreDamagedError",
    "StoreFormatError",
    "StoreIdentity",
    "StoreLockedError",
    "StorePorts",
    "Subscription",
    "checksum",
    "key_of",
    "open_store",
    "operations",
    "split_key",
]
