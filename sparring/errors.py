"""The error tree. `exit_code` is what the `sparring` command ends with.

SparringError                 1  the work failed
├── TargetFailed              1  a classifier answered with something that is no probability
│   └── RowsFailed            1  it could not answer for these rows; it may for others
├── Unanswered                1  a server gave no answer to one request; it may to others
│   └── Refused               2  it refused this request as it stands (also a UserError)
├── UserError                 2  the user's input is wrong; the message says expected, came, fix
│   ├── JobError              2  the job file
│   ├── PolicyError           2  the policy file
│   ├── DataError             2  the labelled data
│   ├── ReferenceNotFound     2  a model or data reference that cannot be had
│   ├── MissingExtra          2  an optional package; the message holds the install command
│   └── ProhibitedContent     2  what Sparring never makes, whatever a policy or a flag says
└── RunHeld                   3  another process works on this run
"""


class SparringError(Exception):
    """Base of every error that Sparring raises on purpose."""

    exit_code = 1


class TargetFailed(SparringError):
    pass


class RowsFailed(TargetFailed):
    pass


class Unanswered(SparringError):
    pass


class UserError(SparringError):
    exit_code = 2


class Refused(Unanswered, UserError):
    exit_code = 2


class JobError(UserError):
    pass


class PolicyError(UserError):
    pass


class DataError(UserError):
    pass


class ReferenceNotFound(UserError):
    pass


class MissingExtra(UserError):
    """`feature` needs `package`, which `extra` of this distribution installs."""

    def __init__(self, feature: str, package: str, extra: str):
        super().__init__(f"{feature} needs the package {package}, which is not installed. Fix: pip install 'sparring[{extra}]'")


class ProhibitedContent(UserError):
    pass


class RunHeld(SparringError):
    exit_code = 3
