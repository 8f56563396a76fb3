using TestSupport;

namespace Gateway.Tests.Admin;

public sealed class AuthorizationTests
{
    [Fact]
    public async Task Operations_AllOfThem_OpenToAdminKeysOnly()
    {
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Clock = clock });
        await using var other = await Hosts.StartAsync();
        var revoked = await gateway.DeclareAsync("POST", "/adminkeys", """{"name":"revoked"}""");
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", $"/adminkeys/{revoked.Text("id")}")).Status);
        var expired = await gateway.DeclareAsync("POST", "/adminkeys", $$"""{"name":"expired","expiresAt":"{{clock.GetUtcNow().UtcDateTime.AddHours(1):yyyy-MM-ddTHH:mm:ssZ}}"}""");
        var reader = await gateway.DeclareAsync("POST", "/adminkeys", """{"name":"reader","readOnly":true}""");
        clock.Advance(TimeSpan.FromHours(2));
        (string Name, string? Token)[] refused =
        [
            ("none", null), ("malformed", "ak-gw-1"), ("virtual", gateway.VirtualKey), ("revoked", revoked.Text("token")), ("expired", expired.Text("token")),
            ("another gateway's", other.AdminKey), ("cut", gateway.AdminKey[..^1]),
        ];
        var schemas = await OpenApiTests.LoadAsync(gateway);
        Assert.NotEmpty(schemas.Operations);
        foreach (var (path, method, operation) in schemas.Operations)
        {
            var concrete = path["/admin/v1".Length..].Replace("{id}", "nobody", StringComparison.Ordinal);
            foreach (var (name, token) in refused)
            {
                using var client = gateway.NewClient(token);
                var answer = await AdminSession.SendAsync(client, method, concrete);
                Assert.True(answer.Status == 401, $"{method} {concrete} with key '{name}': {answer.Status}");
            }
            using var reading = gateway.NewClient(reader.Text("token"));
            var read = await AdminSession.SendAsync(reading, method, concrete);
            Assert.True(method == "GET" ? read.Status is 200 or 404 : read.Status == 403, $"{method} {concrete} with a read-only key: {read.Status}");
            var opened = await gateway.AdminAsync(method, concrete);
            Assert.True(opened.Status is not (401 or 403 or 500), $"{method} {concrete} with an admin key: {opened.Status}");
        }
    }

    [Fact]
    public async Task AdminKeys_LastThatCanChangeAnything_IsKept()
    {
        await using var gateway = await Hosts.StartAsync();
        var first = gateway.AdminKey.Split('-')[2];
        await gateway.DeclareAsync("POST", "/adminkeys", """{"name":"reader","readOnly":true}""");
        (await gateway.AdminAsync("DELETE", $"/adminkeys/{first}")).AssertProblem(409, "last_admin_key");

        var second = await gateway.DeclareAsync("POST", "/adminkeys", """{"name":"second"}""");
        Assert.Equal(204, (await gateway.AdminAsync("DELETE", $"/adminkeys/{first}")).Status);
        Assert.Equal(401, (await gateway.AdminAsync("GET", "/adminkeys")).Status);
        using var client = gateway.NewClient(second.Text("token"));
        (await AdminSession.SendAsync(client, "DELETE", $"/adminkeys/{second.Text("id")}")).AssertProblem(409, "last_admin_key");
    }

    [Fact]
    public async Task AdminKey_Rotated_HoldsForTheOverlapAndNoLonger()
    {
        var clock = new Microsoft.Extensions.Time.Testing.FakeTimeProvider(new DateTimeOffset(2026, 11, 23, 12, 0, 0, TimeSpan.Zero));
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Clock = clock });
        var rotated = await gateway.DeclareAsync("POST", $"/adminkeys/{gateway.AdminKey.Split('-')[2]}/rotate", """{"overlap":"1h"}""");
        using var next = gateway.NewClient(rotated.Text("token"));
        Assert.Equal(200, (await gateway.AdminAsync("GET", "/adminkeys")).Status);
        Assert.Equal(200, (await AdminSession.SendAsync(next, "GET", "/adminkeys")).Status);
        clock.Advance(TimeSpan.FromHours(1));
        Assert.Equal(401, (await gateway.AdminAsync("GET", "/adminkeys")).Status);
        Assert.Equal(200, (await AdminSession.SendAsync(next, "GET", "/adminkeys")).Status);
    }
}
