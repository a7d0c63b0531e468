"""The keys that sign our tokens: when each one is published and used, where it lies, and who may read it.

KeyringError
├── RotationUnsafe          (schedule) a rotation would break tokens; names the rule
├── RingHasNoSigningKey     (ring) nothing may sign now
│   └── RingIsEmpty         (ring) there is no key yet
├── RingUnreadable          (folder) the ring cannot be read at all
│   └── RingDamaged         (folder) it was read and does not fit together
├── KeyUnreadable           (folder, ring) one key cannot be opened
├── RingNotWritable         (folder) the disk or the rights say no
└── RingBusy                (folder) another writer holds the ring
"""
