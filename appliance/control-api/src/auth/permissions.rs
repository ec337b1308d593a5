//! Which role may do what? One table, tested line by line.

use super::Role;

/// Something that not everybody may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Tenants, and other tenants' things.
    ManageBox,
    /// Users, keys, the tenant's own settings.
    ManageUsers,
    /// Trunks, DIDs, extensions, dialplans, bots, calendars, voicemail.
    ManageTelephony,
    /// Any call of the tenant.
    ControlCalls,
    SendDtmf,
    /// All of the tenant's lists.
    ReadAll,
    /// Their own extensions, calls and messages.
    Own,
}

/// What the role may do; everything else is 403.
pub fn may(role: Role, permission: Permission) -> bool {
    use Permission::*;
    match role {
        Role::Operator => true,
        Role::Admin => permission != ManageBox,
        Role::User => permission == Own,
        Role::Viewer => permission == ReadAll,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_exactly_what_the_table_says() {
        use Permission::*;
        let all = [ManageBox, ManageUsers, ManageTelephony, ControlCalls, SendDtmf, ReadAll, Own];
        let allowed = |role| all.into_iter().filter(|it| may(role, *it)).collect::<Vec<_>>();
        assert_eq!(allowed(Role::Operator), all);
        assert_eq!(allowed(Role::Admin), all[1..]);
        assert_eq!(allowed(Role::User), [Own]);
        assert_eq!(allowed(Role::Viewer), [ReadAll]);
    }
}
