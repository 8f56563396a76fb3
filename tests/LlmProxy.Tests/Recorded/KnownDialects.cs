using LlmProxy.Dialects;

namespace LlmProxy.Tests.Recorded;

/// <summary>All dialects whose code there is, whether or not the proxy takes calls in them.</summary>
internal static class KnownDialects
{
    public static IReadOnlyList<Dialect> All { get; } =
    [
        .. typeof(Dialect).Assembly.GetTypes().Where(type => type.IsSubclassOf(typeof(Dialect)) && !type.IsAbstract).Select(Make)
            .Where(dialect => Order(dialect) >= 0).OrderBy(Order),
    ];

    /// <summary>The dialect of an id, or null.</summary>
    public static Dialect? Find(string id) => All.FirstOrDefault(dialect => dialect.Id == id);

    private static Dialect Make(Type type) => (Dialect)(type.GetProperty("Instance")?.GetValue(null) ?? Activator.CreateInstance(type)!);

    private static int Order(Dialect dialect) => TestSupport.RecordedTraffic.Dialects.ToList().IndexOf(dialect.Id);
}
