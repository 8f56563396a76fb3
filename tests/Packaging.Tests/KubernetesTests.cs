using System.Net;
using k8s;
using k8s.Models;
using TestSupport;

namespace Packaging.Tests;

/// <summary>The example for Kubernetes, read into the official client's types, where an unknown member is an error.</summary>
[Collection(PublishedCollection.Name)]
public sealed class KubernetesTests(Published published)
{
    private static readonly List<object> All = [.. new[] { "gateway.yaml", "secret.example.yaml" }
        .SelectMany(file => KubernetesYaml.LoadAllFromString(File.ReadAllText(Repository.At("packaging", "kubernetes", file)), strict: true))];

    private static V1Deployment Deployment => Assert.Single(All.OfType<V1Deployment>());

    private static V1PodSpec Pod => Deployment.Spec.Template.Spec;

    private static V1Container Container => Assert.Single(Pod.Containers);

    [Fact]
    public void Names_ReferToWhatIsThere()
    {
        Assert.Equal(Deployment.Spec.Selector.MatchLabels, Deployment.Spec.Template.Metadata.Labels);
        var service = Assert.Single(All.OfType<V1Service>());
        Assert.Equal(Deployment.Spec.Selector.MatchLabels, service.Spec.Selector);
        var port = Assert.Single(Container.Ports);
        Assert.Equal(8080, port.ContainerPort);
        Assert.Equal(port.Name, Assert.Single(service.Spec.Ports).TargetPort.Value);
        Assert.All([Container.StartupProbe, Container.LivenessProbe, Container.ReadinessProbe], probe => Assert.Equal(port.Name, probe.HttpGet.Port.Value));

        Assert.Equal(Pod.Volumes.Select(volume => volume.Name).Order(), Container.VolumeMounts.Select(mount => mount.Name).Order());
        foreach (var volume in Pod.Volumes)
        {
            Assert.True(
                volume.EmptyDir is not null
                || All.OfType<V1ConfigMap>().Any(each => each.Metadata.Name == volume.ConfigMap?.Name)
                || All.OfType<V1Secret>().Any(each => each.Metadata.Name == volume.Secret?.SecretName)
                || All.OfType<V1PersistentVolumeClaim>().Any(each => each.Metadata.Name == volume.PersistentVolumeClaim?.ClaimName), volume.Name);
        }
        // A mount below a read-only one cannot be made.
        var mounts = Container.VolumeMounts.Select(mount => mount.MountPath + "/").ToArray();
        Assert.DoesNotContain(mounts, inner => mounts.Any(outer => outer != inner && inner.StartsWith(outer, StringComparison.Ordinal)));
    }

    [Fact]
    public void Pod_IsNotRootAndOneAtATime()
    {
        Assert.Equal(1, Deployment.Spec.Replicas);
        Assert.Equal("Recreate", Deployment.Spec.Strategy.Type);
        Assert.True(Pod.SecurityContext.RunAsNonRoot);
        Assert.Equal(1654, Pod.SecurityContext.RunAsUser);
        Assert.False(Container.SecurityContext.AllowPrivilegeEscalation);
        Assert.True(Container.SecurityContext.ReadOnlyRootFilesystem);
        Assert.Equal(["ALL"], Container.SecurityContext.Capabilities.Drop);
        Assert.Equal("/app/data", Assert.Single(Container.VolumeMounts, mount => mount.Name == "data").MountPath);
    }

    [Fact]
    public async Task Gateway_WithTheMountedFilesAndArguments_AnswersTheProbes()
    {
        using var folder = new TemporaryFolder();
        string Here(string path) => Path.Combine(folder.Path, path.TrimStart('/'));
        foreach (var mount in Container.VolumeMounts)
        {
            Directory.CreateDirectory(Here(mount.MountPath));
            var volume = Pod.Volumes.Single(each => each.Name == mount.Name);
            var files = volume.ConfigMap is { } map ? All.OfType<V1ConfigMap>().Single(each => each.Metadata.Name == map.Name).Data
                : volume.Secret is { } secret ? All.OfType<V1Secret>().Single(each => each.Metadata.Name == secret.SecretName).StringData
                : new Dictionary<string, string>();
            foreach (var (name, text) in files)
            {
                await File.WriteAllTextAsync(Path.Combine(Here(mount.MountPath), name), text.Replace("${file:/", $"${{file:{folder.Path}/", StringComparison.Ordinal), TestContext.Current.CancellationToken);
            }
        }
        var arguments = Container.Args.Select(argument => argument.StartsWith('/') ? Here(argument) : argument);
        var environment = new Dictionary<string, string> { ["ASPNETCORE_URLS"] = "http://0.0.0.0:0", ["DOTNET_BUNDLE_EXTRACT_BASE_DIR"] = Here("/cache") };

        await using var gateway = await RunningProgram.StartAsync(Path.Combine(await published.SingleFileAsync(), "gateway"), arguments, Here("/app"), environment);

        foreach (var probe in (V1Probe[])[Container.StartupProbe, Container.LivenessProbe, Container.ReadinessProbe])
        {
            Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync(probe.HttpGet.Path)).Status);
        }
        Assert.NotEmpty(Directory.EnumerateFiles(Here("/app/data"), "*.db"));
    }
}
