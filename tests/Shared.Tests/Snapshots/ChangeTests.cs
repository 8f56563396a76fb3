using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Shared.Tests.Snapshots;

public sealed class ChangeTests : IDisposable
{
    private static readonly ChangedBy Ann = new("admin:ann");
    private static readonly EntityName Acme = new(EntityKind.Provider, "acme");
    private static readonly EntityName Fast = new(EntityKind.Route, "fast");
    private const string AcmeAt = """{"baseUrl":"https://acme.example/v1"}""";

    private readonly ConfigFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Change_Good_ServesAndIsWrittenWithItsRevision()
    {
        using var loader = Loaded();

        var outcome = await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt).With(Fast, """{"targets":["acme/large"]}"""), Ann);

        Assert.True(outcome.Succeeded);
        Assert.Equal(outcome.Revision, folder.Store.Current.Revision);
        Assert.Equal(2, folder.Keys.Read().Entities.Count);
        Assert.Equal((outcome.Revision, Ann), (folder.Keys.Revisions[^1].Revision.Revision, folder.Keys.Revisions[^1].By));
        Assert.Equal(loader.CurrentText, folder.Keys.Revisions[^1].Revision.Text);
        var provider = folder.Store.Current.Providers["acme"];
        Assert.True(provider.FromAdminApi);
        Assert.Equal("provider 'acme' of the admin API", provider.Origin);
        Assert.Contains(loader.Declared, entity => entity.Name == Fast && entity.FromAdminApi && entity.Origin == "admin API");
    }

    [Fact]
    public async Task Change_DoesNotFit_LeavesNoTrace()
    {
        using var loader = Loaded();
        var revision = folder.Store.Current.Revision;

        var outcome = await loader.ChangeAsync(stored => stored.With(Fast, """{"targets":["acme/large"],"colour":1}"""), Ann);

        Assert.Equal(["colour", "targets[0]"], outcome.Errors.Select(error => error.Path).Order());
        Assert.Empty(outcome.ElsewhereErrors);
        Assert.Equal(revision, folder.Store.Current.Revision);
        Assert.Empty(folder.Keys.Read().Entities);
        Assert.Empty(folder.Store.LastErrors);
    }

    [Fact]
    public async Task Change_BreaksWhatRefersToIt_SaysWhere()
    {
        using var loader = Loaded();
        Assert.True((await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt).With(Fast, """{"targets":["acme/large"]}"""), Ann)).Succeeded);

        var outcome = await loader.ChangeAsync(stored => stored.Without(Acme), Ann);

        Assert.Equal("route 'fast' of the admin API", Assert.Single(outcome.Errors).File);
        Assert.True(folder.Store.Current.Providers.ContainsKey("acme"));
    }

    [Fact]
    public async Task Change_DryRun_TellsAndChangesNothing()
    {
        using var loader = Loaded();

        var good = await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt), Ann, dryRun: true);

        Assert.True(good.Succeeded);
        Assert.NotEqual(folder.Store.Current.Revision, good.Revision);
        Assert.Empty(folder.Keys.Read().Entities);
    }

    [Fact]
    public async Task Change_FilesAreBroken_IsRefusedNamingThem()
    {
        using var loader = Loaded();
        folder.Gateway("colour: blue\n");

        var outcome = await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt), Ann);

        Assert.Empty(outcome.Errors);
        Assert.Contains("colour", Assert.Single(outcome.ElsewhereErrors).ToString(), StringComparison.Ordinal);
        Assert.Empty(folder.Keys.Read().Entities);
        // The watcher has not seen the file yet, and still reports it.
        await loader.ReloadIfChangedAsync(TestContext.Current.CancellationToken);
        Assert.Contains("colour", Assert.Single(folder.Store.LastErrors), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_TheFileDeclaresIt_IsRefusedNamingBoth()
    {
        folder.Gateway("providers:\n  acme: {baseUrl: 'https://acme.example/v1'}\n");
        using var loader = Loaded();

        var outcome = await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt), Ann);

        Assert.Equal($"{folder.GatewayFile}:2:9: providers.acme: provider 'acme' is declared here and in the database as well; remove it here, or delete it through the admin API",
            Assert.Single(outcome.Errors).ToString());
    }

    [Fact]
    public async Task Change_UsesVariableOrFileOfTheProcess_IsRefused()
    {
        folder.Environment["PROCESS_SECRET"] = "hidden";
        using var loader = Loaded();

        foreach (var reference in new[] { "${env:PROCESS_SECRET}", "${file:/etc/passwd}" })
        {
            var outcome = await loader.ChangeAsync(stored => stored.With(Acme, """{"baseUrl":"https://acme.example","headers":{"x-out":"REFERENCE"}}""".Replace("REFERENCE", reference, StringComparison.Ordinal)), Ann);
            Assert.Contains("only ${secret:name} may be used here", Assert.Single(outcome.Errors).Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Change_NamesASecret_IsSentAndNeverShown()
    {
        using var loader = Loaded();

        var outcome = await loader.ChangeAsync(stored => stored
            .WithSecret("acme", new Shared.Configuration.Secret("s3cret-value"))
            .With(Acme, """{"baseUrl":"https://acme.example","apiKey":"${secret:acme}"}"""), Ann);

        Assert.True(outcome.Succeeded);
        Assert.Equal("s3cret-value", folder.Store.Current.Providers["acme"].ApiKey);
        Assert.DoesNotContain("s3cret-value", loader.CurrentText, StringComparison.Ordinal);
        Assert.DoesNotContain(loader.Declared, entity => entity.Declaration.Contains("s3cret-value", StringComparison.Ordinal));
        var missing = await loader.ChangeAsync(stored => stored.WithoutSecret("acme"), Ann);
        Assert.Contains("there is no secret 'acme'", Assert.Single(missing.Errors).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Change_SameDeclarationMovesIntoAFile_IsAnotherRevision()
    {
        using var loader = Loaded();
        var stored = await loader.ChangeAsync(configuration => configuration.With(Acme, AcmeAt), Ann);
        await loader.ChangeAsync(configuration => configuration.Without(Acme), Ann);
        folder.Gateway("providers:\n  acme: {baseUrl: 'https://acme.example/v1'}\n");

        await loader.ReloadAsync(TestContext.Current.CancellationToken);

        Assert.NotEqual(stored.Revision, folder.Store.Current.Revision);
        Assert.False(folder.Store.Current.Providers["acme"].FromAdminApi);
    }

    [Fact]
    public async Task Change_EditThrows_NothingHappensAndTheNextOneWorks()
    {
        using var loader = Loaded();

        await Assert.ThrowsAsync<InvalidOperationException>(() => loader.ChangeAsync(_ => throw new InvalidOperationException("no"), Ann));

        Assert.True((await loader.ChangeAsync(stored => stored.With(Acme, AcmeAt), Ann)).Succeeded);
    }

    [Fact]
    public async Task Change_ManyAtOnce_AllLand()
    {
        using var loader = Loaded();

        var outcomes = await Task.WhenAll(Enumerable.Range(0, 20).Select(i => loader.ChangeAsync(stored => stored.With(new EntityName(EntityKind.User, $"user-{i}"), "{}"), Ann)));

        Assert.All(outcomes, outcome => Assert.True(outcome.Succeeded));
        Assert.Equal(20, folder.Keys.Read().Entities.Count);
        Assert.Equal(20, outcomes.Select(outcome => outcome.Revision).Distinct().Count());
    }

    [Fact]
    public async Task Change_Keys_OldSecretHoldsUntilItsTime()
    {
        using var loader = Loaded();
        var until = new DateTimeOffset(2027, 1, 1, 0, 0, 0, TimeSpan.Zero);
        await loader.ChangeAsync(stored => stored.With(new StoredKey { Id = "k1", Secrets = [new KeySecret([1]), new KeySecret([2], until)], Declaration = """{"name":"k"}""" }), Ann);

        Assert.Equal([null, until], folder.Store.Current.Keys["k1"].Secrets.Select(secret => secret.ValidUntil));
    }

    private SnapshotLoader Loaded()
    {
        var loader = folder.Loader();
        loader.Load();
        return loader;
    }
}
