using System.Text.Json;
using McpHub.Tests.Catalog;
using McpHub.Tests.Upstreams;
using Shared.Budgets;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Tests.BuiltIn;

/// <summary>The gateway's own tools, called as any other.</summary>
public sealed class BuiltInToolTests
{
    [Fact]
    public async Task List_OwnTools_AreReadOnlyAndDescribeTheirOutput()
    {
        await using var hub = await StartAsync(Hub.Key());

        using var tools = JsonDocument.Parse(hub.List());

        Assert.Equal(["gateway__current_time", "gateway__list_allowed", "gateway__spend", "gateway__whoami"], tools.RootElement.EnumerateArray().Select(tool => tool.GetProperty("name").GetString()));
        Assert.All(tools.RootElement.EnumerateArray(), tool =>
        {
            Assert.True(tool.GetProperty("annotations").GetProperty("readOnlyHint").GetBoolean());
            Assert.Equal("object", tool.GetProperty("outputSchema").GetProperty("type").GetString());
        });
    }

    [Fact]
    public async Task WhoAmI_KeyOfATeam_TellsBothAndNoSecret()
    {
        var key = Hub.Key() with { Parent = new Owner { Kind = OwnerKind.Team, Id = "red" }, Secrets = [new KeySecret([1, 2, 3])], ExpiresAt = new DateTimeOffset(2027, 1, 1, 0, 0, 0, TimeSpan.Zero) };
        await using var hub = await StartAsync(key);

        var result = await hub.ResultAsync("gateway__whoami");

        Assert.Equal("""{"key":"k1","name":"Key k1","team":"red","expiresAt":"2027-01-01T00:00:00+00:00"}""", StructuredOf(result));
        using var parsed = JsonDocument.Parse(result);
        Assert.Equal(StructuredOf(result), parsed.RootElement.GetProperty("content")[0].GetProperty("text").GetString());
    }

    [Fact]
    public async Task ListAllowed_SomeTools_ListsThoseOnly()
    {
        await using var hub = await StartAsync(Hub.Key(grants: new Grants { Models = ["open/*", "!open/big"], Tools = ["gateway/*", "!gateway/spend"] }));

        Assert.Equal("""{"models":[],"modelPatterns":["open/*","!open/big"],"tools":["gateway__current_time","gateway__list_allowed","gateway__whoami"]}""", StructuredOf(await hub.ResultAsync("gateway__list_allowed")));
    }

    [Fact]
    public async Task Spend_KeyWithABudget_TellsWhatIsLeft()
    {
        var key = Hub.Key() with { Budgets = [new Budget { Id = "key:k1/day", Limit = Money.FromDollars(5), Window = Window.Aligned(CalendarUnit.Day) }] };
        await using var hub = await StartAsync(key, new ToolRule { Match = "whoami", Cost = Money.FromDollars(0.25m) });
        await hub.ResultAsync("gateway__whoami");

        using var spend = JsonDocument.Parse(StructuredOf(await hub.ResultAsync("gateway__spend")));

        var budget = Assert.Single(spend.RootElement.GetProperty("budgets").EnumerateArray());
        Assert.Equal(("key:k1/day", 5m, 0.25m, 0m, 4.75m, true), (budget.GetProperty("id").GetString(), budget.GetProperty("limit").GetDecimal(), budget.GetProperty("spent").GetDecimal(),
            budget.GetProperty("reserved").GetDecimal(), budget.GetProperty("left").GetDecimal(), budget.GetProperty("hard").GetBoolean()));
        Assert.InRange(budget.GetProperty("resetSeconds").GetDouble(), 0, 86_400);
    }

    [Fact]
    public async Task CurrentTime_WithAZone_TellsBoth()
    {
        await using var hub = await StartAsync(Hub.Key());

        using var time = JsonDocument.Parse(StructuredOf(await hub.ResultAsync("gateway__current_time", """{"name":"a","arguments":{"timeZone":"Asia/Kathmandu"}}""")));

        Assert.Equal(TimeSpan.Zero, time.RootElement.GetProperty("utc").GetDateTimeOffset().Offset);
        Assert.Equal(TimeSpan.FromMinutes(345), time.RootElement.GetProperty("local").GetDateTimeOffset().Offset);
    }

    [Theory]
    [InlineData("""{"timeZone":"Mars/Olympus"}""")]
    [InlineData("""{"timeZone":3}""")]
    [InlineData("""{"timeZone":"../etc/passwd"}""")]
    public async Task CurrentTime_NoSuchZone_SaysSoToTheModel(string arguments)
    {
        await using var hub = await StartAsync(Hub.Key());

        using var result = JsonDocument.Parse(await hub.ResultAsync("gateway__current_time", $$"""{"name":"a","arguments":{{arguments}}}"""));

        Assert.True(result.RootElement.GetProperty("isError").GetBoolean());
        Assert.Contains("Europe/Berlin", result.RootElement.GetProperty("content")[0].GetProperty("text").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_WithoutArguments_Works()
    {
        await using var hub = await StartAsync(Hub.Key());

        Assert.Contains("utc", await hub.ResultAsync("gateway__current_time", """{"name":"a"}"""), StringComparison.Ordinal);
        Assert.Contains("utc", await hub.ResultAsync("gateway__current_time", """{"name":"a","arguments":null}"""), StringComparison.Ordinal);
    }

    private static string StructuredOf(string result)
    {
        using var parsed = JsonDocument.Parse(result);
        return parsed.RootElement.GetProperty("structuredContent").GetRawText();
    }

    private static async Task<Hub> StartAsync(VirtualKey key, params ToolRule[] rules)
    {
        var hub = await Hub.StartAsync([key], Manifests.BuiltIn() with { Tools = [.. rules] });
        await hub.UntilReadyAsync("gateway");
        return hub;
    }
}
