"""The keys that sign our tokens: when each one is published and used, where it lies, and who may read it.

KeyringError
├── RotationUnsafe          (schedule) a rotation would break tokens; names the rule
├── RingHasNoSigningKey     (reader) nothing may sign now
│   └── RingIsEmpty         (reader) there is no key yet
├── RingUnreadable          (errors) the ring cannot be read at all
│   └── RingDamaged         (errors) it was read and does not fit together
├── KeyUnreadable           (errors) one key cannot be opened
├── RingNotWritable         (errors) the disk, the database or the rights say no
├── RingBusy                (errors) another writer holds the ring
├── NoSuchKey               (errors) a kid that the ring does not have
└── KmsUnavailable          (errors) AWS KMS does not answer as it should
"""
