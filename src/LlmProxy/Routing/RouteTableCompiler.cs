using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Providers;
using LlmProxy.Relay;
using Microsoft.Extensions.Primitives;
using Shared.Ledger;
using Shared.Snapshots;

namespace LlmProxy.Routing;

/// <summary>Compiles providers, routes and prices into the <see cref="RouteTable"/>.</summary>
internal sealed class RouteTableCompiler(ProviderClients clients, RequestAuthorizers authorizers, TargetPipelines pipelines) : ISnapshotCompiler
{
    public object Compile(Snapshot snapshot, ICollection<string> errors)
    {
        foreach (var provider in snapshot.Providers.Values)
        {
            Check(provider, errors);
        }
        var entries = new Dictionary<string, RouteEntry>(StringComparer.Ordinal);
        foreach (var provider in snapshot.Providers.Values.Where(IsUsable))
        {
            foreach (var model in provider.Models)
            {
                var entry = Plan(snapshot, provider, model);
                entries[entry.Name] = entry;
            }
        }
        foreach (var route in snapshot.Routes.Values)
        {
            if (Plan(snapshot, route, errors) is { } entry)
            {
                entries[entry.Name] = entry;
            }
        }
        var usable = snapshot.Providers.Where(pair => IsUsable(pair.Value)).ToDictionary(pair => pair.Key, pair => pair.Value);
        return new RouteTable(entries, System.Collections.Frozen.FrozenDictionary.ToFrozenDictionary(usable), (provider, model) => Plan(snapshot, provider, model));
    }

    private static bool IsKnown(string dialect) => dialect is ProviderDialects.Simulator or DialectIds.OpenAiChat || DialectSet.Find(dialect) is not null;

    private static bool IsUsable(Provider provider) =>
        provider.Dialect == ProviderDialects.Simulator || (IsKnown(provider.Dialect) && provider.BaseAddress is { IsAbsoluteUri: true });

    private static void Check(Provider provider, ICollection<string> errors)
    {
        if (!IsKnown(provider.Dialect))
        {
            errors.Add($"Provider '{provider.Id}' ({provider.Origin}): dialect '{provider.Dialect}' is not known. Use one of {string.Join(", ", DialectSet.All.Select(dialect => $"'{dialect.Id}'"))}.");
        }
        else if (!IsUsable(provider))
        {
            errors.Add($"Provider '{provider.Id}' ({provider.Origin}): it needs an absolute base address, e.g. 'https://api.example.com/v1'.");
        }
        if (provider.OutputLimitMember is not ("max_tokens" or "max_completion_tokens"))
        {
            errors.Add($"Provider '{provider.Id}' ({provider.Origin}): output limit member '{provider.OutputLimitMember}' is neither 'max_completion_tokens' nor 'max_tokens'.");
        }
        if (provider.ApiKey is { } key && !ResponseHeaders.IsPlain(key))
        {
            errors.Add($"Provider '{provider.Id}' ({provider.Origin}): its key holds characters that no header can carry, perhaps a line break.");
        }
        foreach (var (name, value) in provider.Headers)
        {
            using var probe = new HttpRequestMessage();
            if (!probe.Headers.TryAddWithoutValidation(name, value) || !ResponseHeaders.IsPlain(value))
            {
                errors.Add($"Provider '{provider.Id}' ({provider.Origin}): header '{name}' cannot be sent with a request.");
            }
        }
    }

    private RouteEntry Plan(Snapshot snapshot, Provider provider, string model)
    {
        var name = $"{provider.Id}/{model}";
        return new RouteEntry { Name = name, Targets = [Plan(snapshot, provider, model, name)] };
    }

    private RouteEntry? Plan(Snapshot snapshot, Route route, ICollection<string> errors)
    {
        var targets = new List<TargetPlan>();
        foreach (var target in route.Targets)
        {
            if (!snapshot.Providers.TryGetValue(target.Provider, out var provider))
            {
                errors.Add($"Route '{route.Name}' targets '{target.Provider}', but no provider has that id. Known: {string.Join(", ", snapshot.Providers.Keys.Order(StringComparer.Ordinal))}.");
            }
            else if (IsUsable(provider))
            {
                targets.Add(Plan(snapshot, provider, target.Model, route.Name));
            }
        }
        if (route.Targets.IsEmpty)
        {
            errors.Add($"Route '{route.Name}' has no targets. Give it at least one provider and model.");
        }
        if (route.DefaultOutputTokens is < 1 or > RequestScanner.MaxOutputLimit || route.MaxOutputTokens is < 1 or > RequestScanner.MaxOutputLimit)
        {
            errors.Add($"Route '{route.Name}': its output limits must lie between 1 and {RequestScanner.MaxOutputLimit}.");
        }
        var defaults = Defaults(route, errors);
        var foreign = defaults.Length == 0 ? null : new RouteDefaults([.. defaults.SelectMany(member => member.Insertion)]);
        if (foreign?.Check() is { } wrong)
        {
            errors.Add($"Route '{route.Name}': one of its defaults has a value that no request can have: {wrong.Message}");
        }
        return targets.Count == 0 ? null : new RouteEntry
        {
            Name = route.Name,
            Targets = [.. targets],
            Route = route,
            Defaults = defaults,
            ForeignDefaults = foreign,
            DefaultNames = [.. defaults.Select(member => member.Name)],
            DefaultBytes = defaults.Sum(member => member.Insertion.Length),
        };
    }

    private static DefaultMember[] Defaults(Route route, ICollection<string> errors)
    {
        var members = new List<DefaultMember>();
        foreach (var (name, value) in route.Defaults.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            if (MemberNames.IsRouted(name))
            {
                errors.Add($"Route '{route.Name}': '{name}' cannot be a default, because it routes or bills the request.");
                continue;
            }
            try
            {
                using var _ = JsonDocument.Parse(value);
            }
            catch (JsonException)
            {
                errors.Add($"Route '{route.Name}': the default of '{name}' is not valid JSON.");
                continue;
            }
            members.Add(new DefaultMember(Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes($",{Quote(name)}:{value}")));
        }
        return [.. members];
    }

    private TargetPlan Plan(Snapshot snapshot, Provider provider, string model, string requestedName)
    {
        var price = snapshot.Prices.Find(provider.Id, model);
        var address = ProviderEndpoints.AddressOf(provider, EndpointFamily.Chat, model, stream: false);
        return new TargetPlan
        {
            Provider = provider,
            Model = model,
            ModelJson = Encoding.UTF8.GetBytes(Quote(model)),
            Family = EndpointFamily.Chat,
            Upstream = EndpointFamily.Chat,
            Address = address,
            StreamAddress = address,
            Start = new AttemptStart { Kind = CallKind.Model, Upstream = provider.Id, Name = model, RequestedName = requestedName, PriceVersion = price?.Version },
            Price = price,
            Client = clients.For(provider),
            Pipeline = pipelines.For(provider, model),
            Headers = ProviderHeaders.Of(provider),
            Authorizer = authorizers.For(provider),
            SpanName = TargetPlan.SpanNameOf(EndpointFamily.Chat, model),
            Tags = TargetPlan.TagsOf(EndpointFamily.Chat, provider.Id, model),
            HonoursMaxCompletionTokens = provider.OutputLimitMember == "max_completion_tokens",
            OutputIsFree = TargetPlan.HasFreeOutput(price),
            ProviderHeader = ResponseHeaders.IsPlain(provider.Id) ? new StringValues(provider.Id) : StringValues.Empty,
            ModelHeader = ResponseHeaders.IsPlain(model) ? new StringValues(model) : StringValues.Empty,
        };
    }

    private static string Quote(string text) => $"\"{JsonEncodedText.Encode(text, JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";
}
