using System.Diagnostics.CodeAnalysis;
using Shared.Http;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>Admin keys are those of the data folder.</summary>
internal sealed class StoredAdminKeys(AdminKeys keys) : IAdminAuthenticator
{
    public bool TryVerify(ReadOnlySpan<char> token, [NotNullWhen(true)] out AdminKey? key) => keys.TryVerify(token, out key);
}
