using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Hosting;

/// <summary>The keys that a first start makes, as they are shown once.</summary>
/// <param name="VirtualKey">Opens all models and tools, within <see cref="DollarsPerDay"/>.</param>
/// <param name="AdminKey">Opens the admin API.</param>
internal sealed record FirstStartKeys(string VirtualKey, string AdminKey)
{
    /// <summary>The hard budget of the first key.</summary>
    public const int DollarsPerDay = 5;

    private const string Declaration = """{"name":"first key","models":["*"],"tools":["*"],"budgets":[{"limit":5,"per":"day"}]}""";

    /// <summary>Makes the keys, serving when this returns, or returns null where the data folder had keys before.</summary>
    public static async Task<FirstStartKeys?> CreateAsync(IServiceProvider services, CancellationToken cancellationToken)
    {
        if (services.GetRequiredService<AdminKeys>().CreateFirst(Declaration) is not { } made)
        {
            return null;
        }
        await services.GetRequiredService<SnapshotLoader>().ReloadAsync(cancellationToken);
        return new FirstStartKeys(made.VirtualKey.Token, made.AdminKey.Token);
    }
}
